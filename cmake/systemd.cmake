# The unit of a worker, made for the systemd that is to run it: build/packaging/systemd.
set(WARREN_SYSTEMD "" CACHE STRING "Version of systemd that the unit is for; empty: the installed one")

set(warren_systemd "${WARREN_SYSTEMD}")
if(NOT warren_systemd)
  find_program(WARREN_SYSTEMCTL systemctl)
  mark_as_advanced(WARREN_SYSTEMCTL)
  if(WARREN_SYSTEMCTL)
    execute_process(COMMAND ${WARREN_SYSTEMCTL} --version OUTPUT_VARIABLE said ERROR_QUIET)
    if(said MATCHES "^systemd ([0-9]+)")
      set(warren_systemd ${CMAKE_MATCH_1})
    endif()
  endif()
endif()

# Since 253 `systemctl reload` waits for the end of a reload, and needs nobody to send the signal.
if(warren_systemd AND NOT warren_systemd VERSION_LESS 253)
  set(WARREN_SYSTEMD_TYPE "Type=notify-reload")
else()
  set(WARREN_SYSTEMD_TYPE "Type=notify\nExecReload=/bin/sh -c \"kill -HUP $MAINPID\"")
endif()
configure_file(${PROJECT_SOURCE_DIR}/packaging/systemd/warren@.service.in
  ${PROJECT_BINARY_DIR}/packaging/systemd/warren@.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/packaging/systemd/warren@.service
  DESTINATION lib/systemd/system COMPONENT command)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/systemd/warren.sysusers
  DESTINATION lib/sysusers.d RENAME warren.conf COMPONENT command)
