// train recipe.yaml [key=value ...]: trains the model of a recipe, or prints what it would do.
#include "vitrail/recipes/run/train.h"

int main(int argc, char** argv) { return vitrail::recipes::train_main(argc, argv); }
