#pragma once
#include <corecrt.h>
struct _exception {
  int type;
  char* name;
  double arg1, arg2, retval;
};
#ifndef _COMPLEX_DEFINED
#define _COMPLEX_DEFINED
struct _complex {
  double x, y;
};
#endif
typedef float float_t;
typedef double double_t;

#define HUGE_VAL ((double)1e+300 * 1e+300)
#define INFINITY ((float)(1e+300 * 1e+300))
#define HUGE_VALF ((float)INFINITY)
#define HUGE_VALL ((long double)INFINITY)
#define NAN (-(float)(INFINITY * 0.0F))
#define FP_INFINITE 1
#define FP_NAN 2
#define FP_NORMAL (-1)
#define FP_SUBNORMAL (-2)
#define FP_ZERO 0
#define FP_ILOGB0 (-2147483647 - 1)
#define FP_ILOGBNAN 2147483647
#define MATH_ERRNO 1
#define MATH_ERREXCEPT 2
#define math_errhandling 3

extern "C" {
/* Which functions carry dllimport follows CUDA's own declarations of them for Windows. */
#define WINVLLM_LONG_1(name) long double __cdecl name##l(long double);
#define WINVLLM_FLOAT_1(name) _ACRTIMP float __cdecl name##f(float);
#define WINVLLM_PLAIN_1(name) double __cdecl name(double); WINVLLM_FLOAT_1(name) WINVLLM_LONG_1(name)
#define WINVLLM_IMPORTED_1(name) \
  _ACRTIMP double __cdecl name(double); WINVLLM_FLOAT_1(name) WINVLLM_LONG_1(name)
#define WINVLLM_LONG_2(name) long double __cdecl name##l(long double, long double);
#define WINVLLM_FLOAT_2(name) _ACRTIMP float __cdecl name##f(float, float);
#define WINVLLM_PLAIN_2(name) \
  double __cdecl name(double, double); WINVLLM_FLOAT_2(name) WINVLLM_LONG_2(name)
#define WINVLLM_IMPORTED_2(name) \
  _ACRTIMP double __cdecl name(double, double); WINVLLM_FLOAT_2(name) WINVLLM_LONG_2(name)
#define WINVLLM_TO(result, name)                \
  _ACRTIMP result __cdecl name(double);         \
  _ACRTIMP result __cdecl name##f(float);       \
  result __cdecl name##l(long double);

WINVLLM_PLAIN_1(acos)
WINVLLM_PLAIN_1(asin)
WINVLLM_PLAIN_1(atan)
WINVLLM_PLAIN_1(cos)
WINVLLM_PLAIN_1(cosh)
WINVLLM_PLAIN_1(exp)
WINVLLM_PLAIN_1(log)
WINVLLM_PLAIN_1(log10)
WINVLLM_PLAIN_1(sin)
WINVLLM_PLAIN_1(sinh)
WINVLLM_PLAIN_1(sqrt)
WINVLLM_PLAIN_1(tan)
WINVLLM_PLAIN_1(tanh)
double __cdecl fabs(double);
float __cdecl fabsf(float);
WINVLLM_LONG_1(fabs)
WINVLLM_IMPORTED_1(acosh)
WINVLLM_IMPORTED_1(asinh)
WINVLLM_IMPORTED_1(atanh)
WINVLLM_IMPORTED_1(cbrt)
WINVLLM_IMPORTED_1(ceil)
WINVLLM_IMPORTED_1(erf)
WINVLLM_IMPORTED_1(erfc)
WINVLLM_IMPORTED_1(exp2)
WINVLLM_IMPORTED_1(expm1)
WINVLLM_IMPORTED_1(floor)
WINVLLM_IMPORTED_1(lgamma)
WINVLLM_IMPORTED_1(log1p)
WINVLLM_IMPORTED_1(log2)
WINVLLM_IMPORTED_1(logb)
WINVLLM_IMPORTED_1(nearbyint)
WINVLLM_IMPORTED_1(rint)
WINVLLM_IMPORTED_1(round)
WINVLLM_IMPORTED_1(tgamma)
WINVLLM_IMPORTED_1(trunc)

WINVLLM_PLAIN_2(atan2)
WINVLLM_PLAIN_2(fmod)
WINVLLM_PLAIN_2(pow)
WINVLLM_IMPORTED_2(copysign)
WINVLLM_IMPORTED_2(fdim)
WINVLLM_IMPORTED_2(fmax)
WINVLLM_IMPORTED_2(fmin)
WINVLLM_IMPORTED_2(nextafter)
WINVLLM_IMPORTED_2(remainder)
_ACRTIMP double __cdecl hypot(double, double);
_ACRTIMP double __cdecl _hypot(double, double);
_ACRTIMP float __cdecl _hypotf(float, float);
inline float __cdecl hypotf(float x, float y) { return _hypotf(x, y); }
WINVLLM_LONG_2(hypot)
double __cdecl nexttoward(double, long double);
float __cdecl nexttowardf(float, long double);
WINVLLM_LONG_2(nexttoward)

WINVLLM_TO(int, ilogb)
WINVLLM_TO(long, lrint)
WINVLLM_TO(long, lround)
WINVLLM_TO(long long, llrint)
WINVLLM_TO(long long, llround)

_ACRTIMP double __cdecl fma(double, double, double);
_ACRTIMP float __cdecl fmaf(float, float, float);
long double __cdecl fmal(long double, long double, long double);
_ACRTIMP double __cdecl frexp(double, int*);
float __cdecl frexpf(float, int*);
long double __cdecl frexpl(long double, int*);
_ACRTIMP double __cdecl ldexp(double, int);
float __cdecl ldexpf(float, int);
long double __cdecl ldexpl(long double, int);
_ACRTIMP double __cdecl modf(double, double*);
_ACRTIMP float __cdecl modff(float, float*);
long double __cdecl modfl(long double, long double*);
_ACRTIMP double __cdecl nan(char const*);
_ACRTIMP float __cdecl nanf(char const*);
long double __cdecl nanl(char const*);
_ACRTIMP double __cdecl remquo(double, double, int*);
_ACRTIMP float __cdecl remquof(float, float, int*);
long double __cdecl remquol(long double, long double, int*);
_ACRTIMP double __cdecl scalbln(double, long);
_ACRTIMP float __cdecl scalblnf(float, long);
long double __cdecl scalblnl(long double, long);
_ACRTIMP double __cdecl scalbn(double, int);
_ACRTIMP float __cdecl scalbnf(float, int);
long double __cdecl scalbnl(long double, int);

int __cdecl abs(int);
long __cdecl labs(long);
long long __cdecl llabs(long long);
double __cdecl atof(char const*);
_ACRTIMP double __cdecl j0(double);
_ACRTIMP double __cdecl j1(double);
_ACRTIMP double __cdecl jn(int, double);
_ACRTIMP double __cdecl y0(double);
_ACRTIMP double __cdecl y1(double);
_ACRTIMP double __cdecl yn(int, double);
_ACRTIMP double __cdecl _chgsign(double);
_ACRTIMP double __cdecl _copysign(double, double);
_ACRTIMP int __cdecl _finite(double);
_ACRTIMP int __cdecl _isnan(double);

_ACRTIMP int __cdecl _dsign(double);
_ACRTIMP int __cdecl _fdsign(float);
_ACRTIMP int __cdecl _ldsign(long double);
int __cdecl _dpcomp(double, double);
int __cdecl _fdpcomp(float, float);
int __cdecl _ldpcomp(long double, long double);
short __cdecl _dclass(double);
short __cdecl _fdclass(float);
short __cdecl _ldclass(long double);
}

/* Templates and overloads for the host alone: std::isinf in device code is refused because of them. */
extern "C++" {
inline int fpclassify(float x) noexcept { return _fdclass(x); }
inline int fpclassify(double x) noexcept { return _dclass(x); }
inline int fpclassify(long double x) noexcept { return _ldclass(x); }
inline bool signbit(float x) noexcept { return _fdsign(x) != 0; }
inline bool signbit(double x) noexcept { return _dsign(x) != 0; }
inline bool signbit(long double x) noexcept { return _ldsign(x) != 0; }
inline int _fpcomp(float x, float y) noexcept { return _fdpcomp(x, y); }
inline int _fpcomp(double x, double y) noexcept { return _dpcomp(x, y); }
inline int _fpcomp(long double x, long double y) noexcept { return _ldpcomp(x, y); }
#define WINVLLM_IS(name, test) \
  template <class T> inline bool name(T x) noexcept { return fpclassify(x) test; }
WINVLLM_IS(isfinite, <= 0)
WINVLLM_IS(isinf, == FP_INFINITE)
WINVLLM_IS(isnan, == FP_NAN)
WINVLLM_IS(isnormal, == FP_NORMAL)
#define WINVLLM_COMPARED(name, test) \
  template <class A, class B> inline bool name(A x, B y) noexcept { return (_fpcomp(x, y)test) != 0; }
WINVLLM_COMPARED(isless, &1)
WINVLLM_COMPARED(islessequal, &3)
WINVLLM_COMPARED(isgreater, &4)
WINVLLM_COMPARED(isgreaterequal, &6)
WINVLLM_COMPARED(islessgreater, &5)
template <class A, class B> inline bool isunordered(A x, B y) noexcept { return _fpcomp(x, y) == 0; }
#undef WINVLLM_IS
#undef WINVLLM_COMPARED
}
