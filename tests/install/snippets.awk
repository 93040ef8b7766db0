# Cuts docs/tutorial.md into files of the folder `out`. A comment names the file that the next code blocks belong to:
# <!-- program: first --> first.cpp, <!-- output: first --> first.txt, <!-- file: a.yaml --> a.yaml.
/^<!-- program: / { file = out "/" $3 ".cpp"; language = "cpp" }
/^<!-- output: / { file = out "/" $3 ".txt"; language = "text" }
/^<!-- file: / { file = out "/" $3; language = "yaml" }
/^```/ {
  inside = !inside && file != "" && $0 == "```" language
  if (!inside && language != "cpp") file = ""
  next
}
inside { print > file }
