# SPDX-License-Identifier: MIT OR Apache-2.0
# The target man makes the man pages of section 3 from the doc comments, as a part of every build.
find_program(DOXYGEN_EXECUTABLE doxygen)
find_program(PYTHON3_EXECUTABLE python3)
mark_as_advanced(DOXYGEN_EXECUTABLE PYTHON3_EXECUTABLE)
if(NOT DOXYGEN_EXECUTABLE OR NOT PYTHON3_EXECUTABLE)
  message(FATAL_ERROR "SD_LISTEN_FDS_BUILD_MAN needs doxygen and python3")
endif()

set(reference ${CMAKE_CURRENT_BINARY_DIR}/reference)
set(scripts docs/reference/headers.py docs/reference/comments.py docs/reference/man.py docs/reference/Doxyfile)
add_custom_command(
  OUTPUT ${reference}/man/made
  COMMAND ${CMAKE_COMMAND} -E make_directory ${reference}
  COMMAND ${PYTHON3_EXECUTABLE} docs/reference/headers.py ${reference}/headers
  COMMAND ${CMAKE_COMMAND} -E env REFERENCE=${reference} ${DOXYGEN_EXECUTABLE} docs/reference/Doxyfile
  COMMAND ${PYTHON3_EXECUTABLE} docs/reference/man.py ${reference}/xml ${reference}/man/man3
  COMMAND ${CMAKE_COMMAND} -E touch ${reference}/man/made
  DEPENDS ${headers} ${testing_headers} compat/include/systemd/sd-daemon.h ${scripts}
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
  VERBATIM)
add_custom_target(man ALL DEPENDS ${reference}/man/made)
