# The serial C library of HDF5 as HDF5::serial, wherever the distribution keeps it (Debian: hdf5/serial).
find_path(HDF5SERIAL_INCLUDE_DIR hdf5.h PATH_SUFFIXES hdf5/serial)
find_library(HDF5SERIAL_LIBRARY NAMES hdf5_serial hdf5)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(HDF5Serial REQUIRED_VARS HDF5SERIAL_LIBRARY HDF5SERIAL_INCLUDE_DIR)
if(HDF5Serial_FOUND AND NOT TARGET HDF5::serial)
  add_library(HDF5::serial UNKNOWN IMPORTED)
  set_target_properties(HDF5::serial PROPERTIES IMPORTED_LOCATION ${HDF5SERIAL_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${HDF5SERIAL_INCLUDE_DIR})
endif()
