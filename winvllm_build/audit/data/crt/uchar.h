#pragma once
#include <wchar.h>
typedef unsigned short _Char16_t;
typedef unsigned int _Char32_t;
extern "C" {
size_t __cdecl mbrtoc16(char16_t*, char const*, size_t, mbstate_t*);
size_t __cdecl c16rtomb(char*, char16_t, mbstate_t*);
size_t __cdecl mbrtoc32(char32_t*, char const*, size_t, mbstate_t*);
size_t __cdecl c32rtomb(char*, char32_t, mbstate_t*);
}
