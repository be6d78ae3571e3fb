# Read by CMake before it makes its rules (CMAKE_USER_MAKE_RULES_OVERRIDE_<LANG>). Names of folders and
# of this process get into no object. <OBJECT> is relative to the build folder, and another one for each
# source of each target, as the names of internal functions have to be.
if(WINVLLM_SEED AND NOT CMAKE_CUDA_COMPILE_OBJECT)
  set(CMAKE_CUDA_COMPILE_OBJECT
    "<CMAKE_CUDA_COMPILER> ${_CMAKE_CUDA_EXTRA_FLAGS} <DEFINES> <INCLUDES> <FLAGS> ${WINVLLM_SEED} ${WINVLLM_CUDA_MAPS} ${_CMAKE_COMPILE_AS_CUDA_FLAG} <CUDA_COMPILE_MODE> <SOURCE> -o <OBJECT>")
endif()
if(WINVLLM_CXX_MAPS AND NOT CMAKE_CXX_COMPILE_OBJECT)
  set(CMAKE_CXX_COMPILE_OBJECT
    "<CMAKE_CXX_COMPILER> <DEFINES> <INCLUDES> <FLAGS> ${WINVLLM_CXX_MAPS} -o <OBJECT> -c <SOURCE>")
endif()
