#pragma once
#include_next <stdio.h>
#include <stdarg.h>
#include <wchar.h>
extern "C" {
int __cdecl vfscanf(FILE*, char const*, va_list);
int __cdecl vscanf(char const*, va_list);
int __cdecl vsscanf(char const*, char const*, va_list);
}
