# `cpack` makes three Debian packages of a build that is configured with -DCMAKE_INSTALL_PREFIX=/usr:
#
#   libwarren0     the shared library                         (component library)
#   libwarren-dev  headers, archive, pkg-config, CMake        (development)
#   warren         the command, handlers, manual, unit        (command)
#
# What a package has beside the files that `cmake --install` installs is in packaging/debian/, and is
# put where it belongs by cmake/package_files.cmake. scripts/packages builds and proves them.
set(WARREN_MAINTAINER "the warren authors <maintainers@warren.invalid>" CACHE STRING
  "Whom the packages name as their maintainer")
set(WARREN_PACKAGE_RELEASE "1" CACHE STRING "The packages' own number behind that of warren, such as 1+deb12")

set(warren_major ${PROJECT_VERSION_MAJOR})
set(warren_packaging ${PROJECT_SOURCE_DIR}/packaging/debian)
set(warren_package_dir ${PROJECT_BINARY_DIR}/packaging)
string(TIMESTAMP warren_changelog_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(file changelog.in libwarren.shlibs.in libwarren.triggers)
  string(REPLACE ".in" "" name ${file})
  string(REGEX REPLACE "^libwarren[.]" "" name ${name}) # dpkg knows them by these names
  configure_file(${warren_packaging}/${file} ${warren_package_dir}/${name} @ONLY)
endforeach()
configure_file(${warren_packaging}/libwarren${warren_major}.symbols ${warren_package_dir}/symbols COPYONLY)
foreach(script postinst postrm)
  configure_file(${warren_packaging}/warren.${script} ${warren_package_dir}/${script} @ONLY
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME warren)
set(CPACK_PACKAGE_VENDOR warren)
set(CPACK_PACKAGE_CONTACT ${WARREN_MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_ALL library development command)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_files.cmake)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${WARREN_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "RabbitMQ worker framework in C")
set(warren_about "warren consumes RabbitMQ queues and hands each message to a handler:
a function in a shared object, run by a bounded pool of threads. Retries,
dead letters, publishing with confirms, idempotency and metrics are built in.
")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libwarren${warren_major})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "${warren_about}
This package has the library, for programs that embed a worker or
publish.")
# No file says by itself that it needs these: the first is loaded when something is sent by HTTP, the
# second has the certificates of public authorities.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "libcurl4, ca-certificates")
# The trigger is Debian's way to call ldconfig; cpack adds scripts that do it, too.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA
  "${warren_package_dir}/shlibs;${warren_package_dir}/symbols;${warren_package_dir}/triggers")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libwarren-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "${warren_about}
This package has what handlers, and programs that use the library, are
compiled with.")
# pkg-config wants the files of all that the archive is made of, whoever asks for which flags.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libwarren${warren_major} (= ${PROJECT_VERSION}-${WARREN_PACKAGE_RELEASE}), \
libc6-dev | libc-dev, libevent-dev, librabbitmq-dev, libsqlite3-dev, libssl-dev, libxxhash-dev, libyaml-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "warren, pkgconf, cmake")

set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME warren)
set(CPACK_DEBIAN_COMMAND_PACKAGE_SECTION net)
set(CPACK_DEBIAN_COMMAND_DESCRIPTION "${warren_about}
This package has the command that runs workers and looks after queues
and dead letters, its manual, handlers that need no code, and a unit of
systemd.")
set(CPACK_DEBIAN_COMMAND_PACKAGE_DEPENDS
  "libcurl4, systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_COMMAND_PACKAGE_SUGGESTS "rabbitmq-server, libwarren-dev")
set(CPACK_DEBIAN_COMMAND_PACKAGE_CONTROL_EXTRA
  "${warren_package_dir}/postinst;${warren_package_dir}/postrm")
include(CPack)
