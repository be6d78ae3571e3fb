#pragma once
#ifdef __clang__
/* Wine's defines a function that clang has itself. */
#include <intrin.h>
#define _InterlockedCompareExchange128 winvllm_InterlockedCompareExchange128
#include_next <winnt.h>
#undef _InterlockedCompareExchange128
#else
#include_next <winnt.h>
#endif
