#pragma once
#ifdef __clang__
#include <intrin.h>
#else
#include <immintrin.h>
#include <vcruntime.h>
extern "C" {
/* One operation on 8, 16, 32 and 64 bits. */
#define WINVLLM_WIDTHS(name)                             \
  char name##8(char volatile*, char);                    \
  short name##16(short volatile*, short);                \
  long name(long volatile*, long);                       \
  __int64 name##64(__int64 volatile*, __int64);
WINVLLM_WIDTHS(_InterlockedAnd)
WINVLLM_WIDTHS(_InterlockedOr)
WINVLLM_WIDTHS(_InterlockedXor)
WINVLLM_WIDTHS(_InterlockedExchange)
WINVLLM_WIDTHS(_InterlockedExchangeAdd)
#undef WINVLLM_WIDTHS
char _InterlockedCompareExchange8(char volatile*, char, char);
short _InterlockedCompareExchange16(short volatile*, short, short);
long _InterlockedCompareExchange(long volatile*, long, long);
__int64 _InterlockedCompareExchange64(__int64 volatile*, __int64, __int64);
unsigned char _InterlockedCompareExchange128(__int64 volatile*, __int64, __int64, __int64*);
void* _InterlockedCompareExchangePointer(void* volatile*, void*, void*);
void* _InterlockedExchangePointer(void* volatile*, void*);
short _InterlockedIncrement16(short volatile*);
long _InterlockedIncrement(long volatile*);
__int64 _InterlockedIncrement64(__int64 volatile*);
short _InterlockedDecrement16(short volatile*);
long _InterlockedDecrement(long volatile*);
__int64 _InterlockedDecrement64(__int64 volatile*);

unsigned char _BitScanForward(unsigned long*, unsigned long);
unsigned char _BitScanForward64(unsigned long*, unsigned __int64);
unsigned char _BitScanReverse(unsigned long*, unsigned long);
unsigned char _BitScanReverse64(unsigned long*, unsigned __int64);
unsigned char _bittestandset(long*, long);
unsigned char _interlockedbittestandreset(long volatile*, long);
unsigned char _interlockedbittestandset(long volatile*, long);
unsigned short __lzcnt16(unsigned short);
unsigned int __lzcnt(unsigned int);
unsigned __int64 __lzcnt64(unsigned __int64);
unsigned short __popcnt16(unsigned short);
unsigned int __popcnt(unsigned int);
unsigned __int64 __popcnt64(unsigned __int64);
unsigned int _tzcnt_u32(unsigned int);
unsigned __int64 _tzcnt_u64(unsigned __int64);

__int64 __mulh(__int64, __int64);
__int64 _mul128(__int64, __int64, __int64*);
unsigned __int64 __shiftleft128(unsigned __int64, unsigned __int64, unsigned char);
unsigned __int64 __shiftright128(unsigned __int64, unsigned __int64, unsigned char);
unsigned __int64 __umulh(unsigned __int64, unsigned __int64);
unsigned __int64 _udiv128(unsigned __int64, unsigned __int64, unsigned __int64, unsigned __int64*);
unsigned __int64 _umul128(unsigned __int64, unsigned __int64, unsigned __int64*);
unsigned char _addcarry_u64(unsigned char, unsigned __int64, unsigned __int64, unsigned __int64*);
unsigned char _subborrow_u64(unsigned char, unsigned __int64, unsigned __int64, unsigned __int64*);
unsigned short _byteswap_ushort(unsigned short);
unsigned long _byteswap_ulong(unsigned long);
unsigned __int64 _byteswap_uint64(unsigned __int64);
unsigned int _rotl(unsigned int, int);
unsigned int _rotr(unsigned int, int);
unsigned __int64 _rotl64(unsigned __int64, int);
unsigned __int64 _rotr64(unsigned __int64, int);

char __iso_volatile_load8(char const volatile*);
short __iso_volatile_load16(short const volatile*);
int __iso_volatile_load32(int const volatile*);
__int64 __iso_volatile_load64(__int64 const volatile*);
void __iso_volatile_store8(char volatile*, char);
void __iso_volatile_store16(short volatile*, short);
void __iso_volatile_store32(int volatile*, int);
void __iso_volatile_store64(__int64 volatile*, __int64);
unsigned char __load_acquire8(unsigned char const volatile*);

unsigned __int64 __rdtsc(void);
unsigned __int64 _xgetbv(unsigned int);
void __cpuid(int[4], int);
void __cpuidex(int[4], int, int);
void __debugbreak(void);
void __fastfail(unsigned int);
void __faststorefence(void);
void __nop(void);
void __ud2(void);
void _ReadBarrier(void);
void _ReadWriteBarrier(void);
void _WriteBarrier(void);
}
#endif
