#pragma once
#include_next <wchar.h>
#include <stdarg.h>
#include <stdio.h>
extern "C" {
int __cdecl fwide(FILE*, int);
int __cdecl vfwscanf(FILE*, wchar_t const*, va_list);
int __cdecl vswscanf(wchar_t const*, wchar_t const*, va_list);
int __cdecl vwscanf(wchar_t const*, va_list);
long double __cdecl wcstold(wchar_t const*, wchar_t**);
}
inline int mbsinit(mbstate_t const* state) noexcept { return !state || state->_Wchar == 0; }
