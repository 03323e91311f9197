// What is quoted in a message never shows a password.
#pragma once

#include <string>

namespace godwit {

// The text with the password of every user:password@ in it left out: whoever mistypes a command line, or a file, finds it quoted in the message, and that in logs. Pure.
std::string without_passwords(std::string text);

}  // namespace godwit
