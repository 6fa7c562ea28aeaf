// SPDX-License-Identifier: MIT OR Apache-2.0
#include <microhttpd.h>

void before(MHD_AccessHandlerCallback answer) {
  MHD_Daemon* daemon =
      MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 8080, nullptr, nullptr, answer, nullptr, MHD_OPTION_END);
}
