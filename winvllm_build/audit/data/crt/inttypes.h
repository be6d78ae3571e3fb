#pragma once
#include_next <inttypes.h>
#include <stdint.h>
extern "C" {
intmax_t __cdecl imaxabs(intmax_t);
imaxdiv_t __cdecl imaxdiv(intmax_t, intmax_t);
intmax_t __cdecl strtoimax(char const*, char**, int);
uintmax_t __cdecl strtoumax(char const*, char**, int);
intmax_t __cdecl wcstoimax(wchar_t const*, wchar_t**, int);
uintmax_t __cdecl wcstoumax(wchar_t const*, wchar_t**, int);
}
