#pragma once
#ifdef __clang__
#include_next <immintrin.h>
#else
#include <vcruntime.h>
/* The vector types, and the few functions that the STL and CUDA's and torch's headers call on the host. */
typedef union __declspec(intrin_type) __declspec(align(8)) __m64 {
  unsigned __int64 m64_u64;
  float m64_f32[2];
  __int8 m64_i8[8];
} __m64;
typedef union __declspec(intrin_type) __declspec(align(16)) __m128 {
  float m128_f32[4];
  unsigned __int64 m128_u64[2];
} __m128;
typedef union __declspec(intrin_type) __declspec(align(16)) __m128i {
  __int8 m128i_i8[16];
  __int64 m128i_i64[2];
  unsigned __int64 m128i_u64[2];
} __m128i;
typedef struct __declspec(intrin_type) __declspec(align(16)) __m128d {
  double m128d_f64[2];
} __m128d;
typedef union __declspec(intrin_type) __declspec(align(32)) __m256 {
  float m256_f32[8];
} __m256;
typedef struct __declspec(intrin_type) __declspec(align(32)) __m256d {
  double m256d_f64[4];
} __m256d;
typedef union __declspec(intrin_type) __declspec(align(32)) __m256i {
  __int64 m256i_i64[4];
} __m256i;
typedef union __declspec(intrin_type) __declspec(align(64)) __m512 {
  float m512_f32[16];
} __m512;
typedef struct __declspec(intrin_type) __declspec(align(64)) __m512d {
  double m512d_f64[8];
} __m512d;
typedef union __declspec(intrin_type) __declspec(align(64)) __m512i {
  __int64 m512i_i64[8];
} __m512i;
extern "C" {
__m128 _mm_cvtph_ps(__m128i);
__m128 _mm_set_ss(float);
__m128d _mm_add_sd(__m128d, __m128d);
__m128d _mm_load_sd(double const*);
__m128d _mm_set_sd(double);
__m128i _mm_cvtps_ph(__m128, int);
__m128i _mm_cvtsi32_si128(int);
float _cvtsh_ss(unsigned short);
float _mm_cvtss_f32(__m128);
int _mm_cvtsi128_si32(__m128i);
unsigned __int64 _mm_crc32_u64(unsigned __int64, unsigned __int64);
unsigned int _mm_crc32_u32(unsigned int, unsigned int);
unsigned int _mm_crc32_u8(unsigned int, unsigned char);
unsigned int _mm_getcsr(void);
unsigned short _cvtss_sh(float, int);
void _mm_lfence(void);
void _mm_mfence(void);
void _mm_pause(void);
void _mm_prefetch(char const*, int);
void _mm_setcsr(unsigned int);
void _mm_sfence(void);
void _mm_store_sd(double*, __m128d);
}
#endif
