# Shows Doxygen the comments as people read them. A comment also describes the declarations below it, up to the next
# comment or empty line. A comment behind a declaration describes it. The comment of a struct also describes the
# functions right after the struct. Members that are alike in every class need no comment: see customary().
# Keeps the number of each line, so warnings point at the right one.
function customary(line) {
  if (line ~ /^ *(explicit |constexpr )*[A-Z][A-Za-z0-9]*\(/ || line ~ /^ *using ([A-Z][A-Za-z]*)::[A-Z][A-Za-z]*;/)
    return "Constructor: see the class."
  if (line ~ /operator/) return "Operator: see the class."
  if (line ~ /void describe\(Fields& f\)/) return "Describes the keys of a recipe and their limits: see Fields."
  if (line ~ /^ *Params sample\(Rng&/) return "Draws the parameters for an image: see Augmentation."
  if (line ~ /^ *Image apply\(/) return "Applies the augmentation with drawn parameters: see Augmentation."
  if (line ~ /^ *(virtual )?[A-Z][A-Za-z]* forward\(/) return "Shapes and errors: see the class."
  return ""
}
function always_alike(line) { # where the comment above a run of declarations is about the others
  return line ~ /^ *(explicit |constexpr )*[A-Z][A-Za-z0-9]*\(|operator(=|==| bool| float)\(/
}
function indent_of(line) { match(line, /^ */); return RLENGTH }
function show(line, description) { # with the template line above it, after a description if there is one
  printf "%s%s%s\n", description == "" ? "" : "/** " description " */ ", held, line
  held = ""
}
function reset() { doc = ""; fresh = 0; paragraph_start = 1 }
BEGIN { statement_start = 1 }

body != "" {
  if (index($0, body) == 1) { body = ""; fresh = 0; statement_start = 1 }
  print
  next
}
/^ *\/\/\/( |$)/ || (/^ *\/\/ / && !/^ *\/\/ (----|NOLINT)/ && (paragraph_start || in_plain)) {
  in_plain = !/^ *\/\/\//
  text = $0
  sub(/^ *\/\/\/? ?/, "", text)
  doc = in_doc ? doc " " text : text
  in_doc = fresh = statement_start = 1
  if (in_plain) sub(/\/\//, "///")
  print
  next
}
{ in_doc = in_plain = 0 }
/^ *$/ || /^ *(public|private|protected):$/ { reset(); print; statement_start = 1; next }
/^ *template <.*>$/ { held = held $0 "\n"; next }
/^ *(class|struct) .*\{$/ { outer_doc[indent_of($0)] = doc; show($0, ""); reset(); statement_start = 1; next }
/^ *};$/ { show($0, ""); doc = outer_doc[indent_of($0)]; fresh = 0; statement_start = 1; next }
{
  if (statement_start) indent = substr($0, 1, indent_of($0))
  declaration = statement_start && !/= delete;|^ *~/ && (/\(/ || /^ *using [A-Z]/) && /[;{},)]$|[;}] *\/\// &&
                !/^ *(#|return|if|for|while|else|\}|case|check|fail)/
  trailing = declaration && match($0, /[;}] +\/\/ [^ ]/)
  if (trailing) sub(/ \/\/ /, " ///< ")
  statement_start = /[;{}:]( *\/\/.*)?$/
  show($0, !declaration || fresh || trailing ? "" : doc == "" || always_alike($0) ? customary($0) : doc)
  if (/[;}] *(\/\/.*)?$/) fresh = 0
  paragraph_start = 0
  if (/\{$/ && !/^ *(\/\/|namespace|enum|union|extern)/) body = indent "}" # shows the lines up to its end as they are
}
