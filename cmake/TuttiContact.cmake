# Who maintains the Debian package, and where its home page is. A user who passes the package on says both:
#
#   cmake ... -DCPACK_PACKAGE_CONTACT="Name <name@example.org>" -DCPACK_PACKAGE_HOMEPAGE_URL=https://example.org
#
# Debian wants an address. The default one belongs to nobody: `.invalid` is reserved (RFC 2606). Without a home page, the
# package has no such field.
set(TUTTI_NOBODY "The Tutti authors <maintainers@tutti.invalid>")
set(CPACK_PACKAGE_CONTACT "${TUTTI_NOBODY}" CACHE STRING "Maintainer of the Debian package: Name <address>")
set(CPACK_PACKAGE_HOMEPAGE_URL "" CACHE STRING "Home page in the Debian package; empty: none")
if(CPACK_PACKAGE_CONTACT STREQUAL "")
  set(CPACK_PACKAGE_CONTACT "${TUTTI_NOBODY}")
endif()
if(NOT CPACK_PACKAGE_CONTACT MATCHES "^[^<>@\n]+ <[^<>@ \n]+@[^<>@ \n]+>$")
  message(FATAL_ERROR "CPACK_PACKAGE_CONTACT is '${CPACK_PACKAGE_CONTACT}', and a Debian package names its maintainer as "
    "'Name <name@example.org>'. Give both, or leave it out.")
endif()
if(NOT CPACK_PACKAGE_HOMEPAGE_URL MATCHES "^(https?://[^ \n]+)?$")
  message(FATAL_ERROR "CPACK_PACKAGE_HOMEPAGE_URL is '${CPACK_PACKAGE_HOMEPAGE_URL}', and not an address that begins with "
    "https:// or http://. Leave it out if there is none.")
endif()
