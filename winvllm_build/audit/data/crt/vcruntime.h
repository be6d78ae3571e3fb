#pragma once
#ifndef _CRTIMP
#define _CRTIMP __declspec(dllimport)
#endif
#include <corecrt.h>
#include <sal.h>
#include <vadefs.h>

#define _CRT_BEGIN_C_HEADER extern "C" {
#define _CRT_END_C_HEADER }
#define _CRT_PACKING 8
#define _HAS_EXCEPTIONS 1
#define _HAS_NODISCARD 1
#define _NODISCARD [[nodiscard]]
#define _HAS_CXX17 1
#if defined(_MSVC_LANG) && _MSVC_LANG > 201703L
#define _HAS_CXX20 1
#else
#define _HAS_CXX20 0
#endif
#define _HAS_CXX23 0
#define _MSVC_CONSTEXPR [[msvc::constexpr]]
#define _CONST_RETURN const
typedef bool __vcrt_bool;

#define _CRT_STRINGIZE_(text) #text
#define _CRT_STRINGIZE(text) _CRT_STRINGIZE_(text)
#define _CRT_CONCATENATE_(left, right) left##right
#define _CRT_CONCATENATE(left, right) _CRT_CONCATENATE_(left, right)

/* Calling conventions: /clr is not asked for. */
#ifndef __CRTDECL
#define __CRTDECL __cdecl
#endif
#define __CLRCALL_OR_CDECL __cdecl
#define __CLRCALL_PURE_OR_CDECL __cdecl
#define __CLRCALL_PURE_OR_STDCALL __stdcall
#define __CLR_OR_THIS_CALL

/* What is imported from which DLL: nothing is linked, so only the C runtime's own word matters. */
#define _ACRTIMP_ALT _ACRTIMP
#define _AGLOBAL
#define _CRTDATA2_IMPORT
#define _CRTIMP2
#define _CRTIMP2_IMPORT
#define _CRTIMP2_PURE
#define _CRT_SATELLITE_1
#define _CRT_SATELLITE_2
#define _CRT_SATELLITE_CODECVT_IDS
#define _CRT_SATELLITE_CODECVT_IDS_NOIMPORT
#define _MRTIMP
#define _MRTIMP2
#define _MRTIMP2_NPURE
#define _PGLOBAL
#define _VCRTIMP
#define _VCRTIMPINST
#define _VCRTIMP_ALT

/* Annotations and deprecations. */
#ifndef _Analysis_assume_
#define _Analysis_assume_(condition)
#endif
#ifndef _Field_z_
#define _Field_z_
#endif
#ifndef _Guarded_by_
#define _Guarded_by_(lock)
#endif
#ifndef _Pre_satisfies_
#define _Pre_satisfies_(condition)
#endif
#define _CRTNOALIAS
#define _CRTRESTRICT
#define _CRT_ALIGN(bytes) __declspec(align(bytes))
#define _CRT_DEPRECATE_TEXT(text)
#define _CRT_GUARDOVERFLOW
#define _CRT_INSECURE_DEPRECATE(replacement)
#define _CRT_NOEXCEPT noexcept
#define _CRT_SECURE_CPP_NOTHROW throw()
#define _UNALIGNED
#define _VCRT_ALIGN(bytes) __declspec(align(bytes))
#define _VCRT_ALLOCATOR __declspec(allocator)
#define __crt_typefix(type)

#define _CRT_SECURE_INVALID_PARAMETER(condition) ::_invalid_parameter_noinfo_noreturn()
extern "C" __declspec(noreturn) void __cdecl _invalid_parameter_noinfo_noreturn(void);
extern "C" void __cdecl _invalid_parameter_noinfo(void);
