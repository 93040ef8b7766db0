# The libraries that Vitrail is built on. The build includes this file, and so does find_package(vitrail) for a program
# that links Vitrail's static libraries.

# Makes the imported target for a library without a CMake package, or with a package that requires more than we use.
# suffix: the subfolder in which Debian keeps the headers.
function(vitrail_imported_library target header suffix)
  if(TARGET ${target})
    return()
  endif()
  string(MAKE_C_IDENTIFIER ${target} id)
  find_path(${id}_INCLUDE_DIR ${header} PATH_SUFFIXES "${suffix}")
  find_library(${id}_LIBRARY NAMES ${ARGN})
  if(NOT ${id}_INCLUDE_DIR OR NOT ${id}_LIBRARY)
    set(vitrail_missing "${vitrail_missing} ${target} (${header}, lib${ARGV3})" PARENT_SCOPE)
    return()
  endif()
  add_library(${target} UNKNOWN IMPORTED)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${${id}_LIBRARY}
                                             INTERFACE_INCLUDE_DIRECTORIES ${${id}_INCLUDE_DIR})
endfunction()

include(CMakeFindDependencyMacro)
find_dependency(OpenMP COMPONENTS CXX)
find_dependency(Threads)
find_dependency(ZLIB)
find_dependency(fmt)
find_dependency(yaml-cpp)
find_dependency(nlohmann_json)
set(vitrail_missing "")
vitrail_imported_library(DNNL::dnnl oneapi/dnnl/dnnl.hpp "" dnnl) # Debian's package file also asks for OpenCL
vitrail_imported_library(HDF5::serial hdf5.h hdf5/serial hdf5_serial hdf5)
vitrail_imported_library(xxHash::xxhash xxhash.h "" xxhash)
vitrail_imported_library(utf8proc::utf8proc utf8proc.h "" utf8proc)

# Decoders that are used if they are there. vitrailConfig.cmake sets both options to what the libraries were built with.
set(vitrail_missing_decoders "")
function(vitrail_decoder option target header)
  if(${option})
    set(vitrail_missing "")
    vitrail_imported_library(${target} ${header} "" ${ARGN})
    set(vitrail_missing_decoders "${vitrail_missing_decoders}${vitrail_missing}" PARENT_SCOPE)
  endif()
endfunction()
vitrail_decoder(VITRAIL_TURBO libjpeg-turbo::jpeg jpeglib.h jpeg)
vitrail_decoder(VITRAIL_WEBP WebP::webp webp/decode.h webp)
