/* Wine renames `inline` for its own headers; CUDA's refuse the other name on what is constexpr. */
#pragma once
#include_next <windef.h>
#undef inline
