# The functions with which each folder declares its targets.

# GCC 12 reports overlaps in std::string's own code (its bug 105651) and overflows in fmt's where there are none.
set(VITRAIL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wold-style-cast -Woverloaded-virtual
                     $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)

# Every #include of a header of ours begins with vitrail/, in this tree and in an installed one. The build tree has a
# folder include/vitrail/ with a link to each source folder, so that the spelling is the same here.
set(VITRAIL_INCLUDE_DIR ${PROJECT_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${VITRAIL_INCLUDE_DIR}/vitrail)
foreach(folder core autograd nn optim data recipes)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${VITRAIL_INCLUDE_DIR}/vitrail/${folder} SYMBOLIC)
endforeach()

# Flags for our own code, never passed on to consumers.
function(vitrail_compile_options target)
  set_target_properties(${target} PROPERTIES CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
                                             POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE ${VITRAIL_WARNINGS} $<$<BOOL:${VITRAIL_WERROR}>:-Werror>
                                           -fno-math-errno -fno-trapping-math
                                           $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>
                                           # core is declared inline once, in core/dtype.h
                                           $<$<CXX_COMPILER_ID:Clang>:-Wno-inline-namespace-reopened-noninline>)
  # A debug or sanitizer build must also run on any x86-64-v3 processor.
  target_compile_options(${target} PRIVATE -march=x86-64-v3)
  if(VITRAIL_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${VITRAIL_SANITIZE} -fno-omit-frame-pointer
                                            -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${VITRAIL_SANITIZE})
  endif()
endfunction()

# vitrail_library(core LINKS ... PRIVATE_HEADERS regex ...): the folder's sources as vitrail::core. Its headers are
# installed, except those whose path below the folder matches a regex. Sources are found by pattern, so adding a file
# touches no list. With BUILD_SHARED_LIBS, only names in namespace vitrail are exported.
function(vitrail_library name)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS;PRIVATE_HEADERS" ${ARGN})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "^${folder}/(kernels/per_isa|mpi)/")
  file(GLOB_RECURSE headers RELATIVE ${folder} CONFIGURE_DEPENDS ${folder}/*.h)
  foreach(regex ${ARG_PRIVATE_HEADERS})
    list(FILTER headers EXCLUDE REGEX "^${regex}")
  endforeach()
  list(TRANSFORM headers PREPEND ${name}/)
  set_property(GLOBAL APPEND PROPERTY VITRAIL_PUBLIC_HEADERS ${headers})
  list(TRANSFORM headers PREPEND ${VITRAIL_INCLUDE_DIR}/vitrail/)

  set(target vitrail_${name})
  add_library(${target} ${sources})
  add_library(vitrail::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name} VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    UNITY_BUILD ${VITRAIL_UNITY} UNITY_BUILD_BATCH_SIZE 16)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${VITRAIL_INCLUDE_DIR} FILES ${headers})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
  if(BUILD_SHARED_LIBS)
    target_link_options(${target} PRIVATE LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map)
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
  endif()
  vitrail_compile_options(${target})
  if(VITRAIL_INSTALL)
    install(TARGETS ${target} EXPORT vitrailTargets
            ARCHIVE COMPONENT vitrail_development
            LIBRARY COMPONENT vitrail_runtime NAMELINK_COMPONENT vitrail_development
            FILE_SET HEADERS COMPONENT vitrail_development)
  endif()
endfunction()

# vitrail_program(train train.cpp LINKS vitrail::recipes): a program in bin/.
function(vitrail_program name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}) # tools/, bench/, tests/
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  vitrail_compile_options(${name})
endfunction()

# <vitrail/vitrail.h> includes every public header, so it is written from their list. Call it after all libraries.
function(vitrail_umbrella_headers target)
  get_property(headers GLOBAL PROPERTY VITRAIL_PUBLIC_HEADERS)
  list(TRANSFORM headers REPLACE "(.+)" "#include \"vitrail/\\1\"\n")
  list(PREPEND headers "#include \"vitrail/version.h\"\n")
  string(JOIN "" VITRAIL_INCLUDES ${headers})
  foreach(name vitrail version)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.h.in ${VITRAIL_INCLUDE_DIR}/vitrail/${name}.h @ONLY)
  endforeach()
  target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS ${VITRAIL_INCLUDE_DIR} FILES
                 ${VITRAIL_INCLUDE_DIR}/vitrail/vitrail.h ${VITRAIL_INCLUDE_DIR}/vitrail/version.h)
endfunction()
