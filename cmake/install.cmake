# What `cmake --install` puts down, and the .deb with it: the binary (src/cli), manual pages, shell completion, documents, examples, units of systemd.
include(GNUInstallDirs)

set(COMPLETIONS ${CMAKE_BINARY_DIR}/completions)  # made with the binary
install(FILES ${COMPLETIONS}/godwit DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${COMPLETIONS}/godwit.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# Where Debian's zsh looks below /usr is not where every zsh looks below /usr/local.
install(CODE "
  set(FOLDER site-functions)
  if(CMAKE_INSTALL_PREFIX MATCHES \"/usr$\")
    set(FOLDER vendor-completions)
  endif()
  file(INSTALL ${COMPLETIONS}/_godwit DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/zsh/\${FOLDER}\")
")

install(DIRECTORY docs/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 FILES_MATCHING PATTERN "*.1")
install(FILES README.md ARCHITECTURE.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN man EXCLUDE)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS PATTERN __pycache__ EXCLUDE)
install(FILES examples/systemd/godwit-replicate@.service examples/systemd/godwit-proxy@.service DESTINATION lib/systemd/system)

include(${CMAKE_CURRENT_LIST_DIR}/package.cmake)
