#pragma once
#ifndef _CRTIMP
#define _CRTIMP __declspec(dllimport)
#endif
#include_next <corecrt.h>
#include <vcruntime.h>
#ifndef _CRT_WIDE
#define _CRT_WIDE_(text) L##text
#define _CRT_WIDE(text) _CRT_WIDE_(text)
#endif
