#pragma once
#include <errno.h>
#include_next <stdlib.h>
#include <math.h>
extern "C" {
int __cdecl at_quick_exit(void(__cdecl*)(void));
_ACRTIMP __declspec(noreturn) void __cdecl quick_exit(int);
}
extern "C++" {
inline long abs(long value) noexcept { return labs(value); }
inline long long abs(long long value) noexcept { return llabs(value); }
inline ldiv_t div(long by, long through) noexcept { return ldiv(by, through); }
inline lldiv_t div(long long by, long long through) noexcept { return lldiv(by, through); }
}
