# What `make install` puts where, and how others find it: pkg-config and CMake.
include(CMakePackageConfigHelpers)

set(warren_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/warren)
set(warren_handlers_dir ${CMAKE_INSTALL_LIBDIR}/warren/handlers)

# Components are packages of cmake/packages.cmake; what names none is of the command's.
install(TARGETS warren RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libwarren LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT library NAMELINK_COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/lib/libwarren.a DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/warren DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(DIRECTORY ${PROJECT_BINARY_DIR}/manual/man1 ${PROJECT_BINARY_DIR}/manual/man5
  DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${PROJECT_BINARY_DIR}/manual/bash/warren
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_BINARY_DIR}/manual/zsh/_warren
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# A package has these as copyright and changelog.gz.
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT unpackaged)
file(GLOB warren_docs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
install(FILES ${warren_docs} DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/monitoring DESTINATION ${CMAKE_INSTALL_DOCDIR}
  PATTERN "*_test.yaml" EXCLUDE)

# Told from where the file lies, so that `cmake --install --prefix` may choose another place.
file(RELATIVE_PATH warren_pc_to_prefix
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/warren.pc.in ${PROJECT_BINARY_DIR}/warren.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/warren.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)

set(warren_library libwarren.so.${PROJECT_VERSION})
set(warren_soname libwarren.so.${PROJECT_VERSION_MAJOR})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/warrenConfig.cmake.in ${PROJECT_BINARY_DIR}/installed/warrenConfig.cmake
  INSTALL_DESTINATION ${warren_cmake_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR warren_handlers_dir)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/installed/warrenConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/installed/warrenConfig.cmake
  ${PROJECT_BINARY_DIR}/installed/warrenConfigVersion.cmake DESTINATION ${warren_cmake_dir}
  COMPONENT development)

# The same of the build tree, so that a project can be built against it without an installation:
# build/release/bin in PATH, or build/release in CMAKE_PREFIX_PATH.
function(warren_package_of_build_tree)
  set(lib ${PROJECT_BINARY_DIR}/lib)
  set(CMAKE_INSTALL_INCLUDEDIR ${PROJECT_SOURCE_DIR}/include)
  set(CMAKE_INSTALL_LIBDIR ${lib})
  set(warren_handlers_dir ${PROJECT_BINARY_DIR}/handlers)
  configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/warrenConfig.cmake.in ${lib}/cmake/warren/warrenConfig.cmake
    INSTALL_DESTINATION ${lib}/cmake/warren
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR warren_handlers_dir)
  file(COPY ${PROJECT_BINARY_DIR}/installed/warrenConfigVersion.cmake DESTINATION ${lib}/cmake/warren)
endfunction()
warren_package_of_build_tree()
file(REMOVE ${PROJECT_BINARY_DIR}/warrenConfig.cmake) # an earlier configure's would be found first
