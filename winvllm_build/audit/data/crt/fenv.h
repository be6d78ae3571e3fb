#pragma once
#include_next <fenv.h>
extern "C" {
int __cdecl feraiseexcept(int);
int __cdecl feupdateenv(fenv_t const*);
}
