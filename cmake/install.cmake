# What `cmake --install` lays down: the library, its headers, the CMake package `sd-listen-fds` and the pkg-config module.
include(CMakePackageConfigHelpers)

install(
  TARGETS sd_listen_fds sd_testing
  EXPORT sd-listen-fds
  FILE_SET HEADERS)
install(
  EXPORT sd-listen-fds
  NAMESPACE sd::
  FILE sd-listen-fds-config.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sd-listen-fds)
write_basic_package_version_file(sd-listen-fds-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sd-listen-fds-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sd-listen-fds)

# The module finds its prefix from where it lies, so that an installed tree can be moved. What is configured as an absolute
# path outside the prefix stays absolute.
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix ${pc_dir} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
foreach(dir INCLUDEDIR LIBDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
configure_file(cmake/sd-listen-fds.pc.in sd-listen-fds.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sd-listen-fds.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
