# Run by cpack between installing and packing: what a Debian package has besides, and in the form
# that it has it in. See cmake/packages.cmake.
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)
set(source ${root}/packaging/debian)
set(made ${CPACK_PACKAGE_DIRECTORY}/packaging)

# gzip as Debian has it: as small as can be, and the same each time.
function(compress)
  execute_process(COMMAND gzip -9nf ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(pair "library;${CPACK_DEBIAN_LIBRARY_PACKAGE_NAME}"
    "development;${CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME}" "command;${CPACK_DEBIAN_COMMAND_PACKAGE_NAME}")
  list(GET pair 0 component)
  list(GET pair 1 package)
  set(tree ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr)
  set(doc ${tree}/share/doc/${package})
  file(MAKE_DIRECTORY ${doc})
  configure_file(${source}/copyright ${doc}/copyright COPYONLY)
  configure_file(${made}/changelog ${doc}/changelog.Debian COPYONLY)
  configure_file(${root}/CHANGELOG.md ${doc}/changelog COPYONLY)
  compress(${doc}/changelog.Debian ${doc}/changelog)
  if(EXISTS ${source}/${package}.lintian-overrides)
    file(MAKE_DIRECTORY ${tree}/share/lintian/overrides)
    configure_file(${source}/${package}.lintian-overrides ${tree}/share/lintian/overrides/${package} COPYONLY)
  endif()
endforeach()

file(GLOB pages ${tree}/share/man/man*/*.[1-8])
compress(${pages})
file(GLOB archives ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/development/usr/lib/*/*.a)
execute_process(COMMAND strip --strip-debug --enable-deterministic-archives ${archives}
  COMMAND_ERROR_IS_FATAL ANY)
