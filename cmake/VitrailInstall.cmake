# What `cmake --install` copies. Components: vitrail_runtime (programs, recipes, shared libraries) and
# vitrail_development (headers, archives, the CMake package, documents, examples).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vitrail)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vitrailConfig.cmake.in vitrailConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(vitrailConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS vitrail_all EXPORT vitrailTargets FILE_SET HEADERS COMPONENT vitrail_development)
install(EXPORT vitrailTargets NAMESPACE vitrail:: DESTINATION ${package_dir} COMPONENT vitrail_development)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/vitrailConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/vitrailConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/VitrailDependencies.cmake
        DESTINATION ${package_dir} COMPONENT vitrail_development)
file(GLOB docs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
install(FILES ${docs} ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/vitrail COMPONENT vitrail_development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DATADIR}/vitrail
        COMPONENT vitrail_development)

if(VITRAIL_BUILD_PROGRAMS)
  install(TARGETS train vitrail DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT vitrail_runtime)
  set(recipe_dir ${CMAKE_INSTALL_DATADIR}/vitrail/recipes)
  file(GLOB recipes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/*.yaml)
  install(FILES ${recipes} DESTINATION ${recipe_dir} COMPONENT vitrail_runtime)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes/assets DESTINATION ${recipe_dir} COMPONENT vitrail_runtime)
endif()
