# Shows Doxygen the comments as people read them. A comment also describes the declarations below it, up to the next
# comment or empty line. A comment behind a declaration describes it.
function indent_of(line) { match(line, /^ */); return substr(line, 1, RLENGTH) }
/^ *\/\/\/( |$)/ { if (!in_doc) doc = ""; in_doc = 1; doc = doc $0 "\n"; print; fresh = 1; next }
/^ *\/\/ / && !/^ *\/\/ (----|NOLINT)/ && paragraph_start { # an opening comment of a paragraph of declarations
  if (!in_doc) doc = ""
  in_doc = 1
  line = $0
  sub(/\/\/ /, "/// ", line)
  doc = doc line "\n"
  print line
  fresh = 1
  next
}
{ in_doc = 0 }
/^ *$/ { doc = ""; fresh = 0; paragraph_start = 1; print; next }
/^ *(public|private|protected):/ { doc = ""; fresh = 0; paragraph_start = 1; print; next }
{
  declaration = /\(/ && /[;{]$|[;}] *\/\// && !/^ *(#|return|if|for|while|else|\}|case|check|fail)/
  trailing = declaration && match($0, /[;}] +\/\/ [^ ]/)
  if (declaration && !fresh && !trailing && doc != "") printf "%s", doc
  if (trailing) sub(/ \/\/ /, " ///< ")
  print
  if (/[;}] *(\/\/.*)?$/) fresh = 0
  paragraph_start = 0
}
