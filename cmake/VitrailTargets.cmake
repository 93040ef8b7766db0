# The few functions with which every folder declares what it builds.

# GCC 12 reports overlaps in std::string's own code that are none (its bug 105651).
set(VITRAIL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wold-style-cast -Woverloaded-virtual
                     $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

# Flags for code of our own, never passed on to consumers.
function(vitrail_compile_options target)
  target_compile_options(${target} PRIVATE ${VITRAIL_WARNINGS} $<$<BOOL:${VITRAIL_WERROR}>:-Werror>
                                           -fno-math-errno -fno-trapping-math
                                           $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
  # A debugging or sanitizer build of the same binary must run anywhere too.
  target_compile_options(${target} PRIVATE -march=x86-64-v3)
  if(VITRAIL_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${VITRAIL_SANITIZE} -fno-omit-frame-pointer
                                            -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${VITRAIL_SANITIZE})
  endif()
endfunction()

# vitrail_library(core LINKS ...): the folder's sources as vitrail::core, its headers installed beside the others.
# Sources are found by pattern, so adding a file touches no list.
function(vitrail_library name)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/(simd|main)/")
  set(target vitrail_${name})
  add_library(${target} STATIC ${sources})
  add_library(vitrail::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
  vitrail_compile_options(${target})
  install(TARGETS ${target} EXPORT vitrailTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vitrail/${name}
          FILES_MATCHING PATTERN "*.h"
          PATTERN main EXCLUDE PATTERN reference EXCLUDE PATTERN simd EXCLUDE PATTERN dnnl EXCLUDE
          PATTERN hdf5 EXCLUDE PATTERN rows.h EXCLUDE PATTERN multiply.h EXCLUDE PATTERN attention_heads.h EXCLUDE PATTERN matrix.h EXCLUDE
          PATTERN conv_shape.h EXCLUDE PATTERN chunks.h EXCLUDE PATTERN strict_json.h EXCLUDE
          PATTERN json_object.h EXCLUDE)
endfunction()

# vitrail_program(train train.cpp LINKS ...): a program in bin/.
function(vitrail_program name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  vitrail_compile_options(${name})
endfunction()
