#include <corecrt.h>
#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
#define assert(condition) \
  ((void)((!!(condition)) || (_wassert(_CRT_WIDE(#condition), _CRT_WIDE(__FILE__), (unsigned)(__LINE__)), 0)))
#endif
#ifndef WINVLLM_WASSERT
#define WINVLLM_WASSERT
extern "C" _ACRTIMP void __cdecl _wassert(wchar_t const*, wchar_t const*, unsigned);
#endif
