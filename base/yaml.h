/* yaml.h: YAML in, over libyaml, with the scalars that PyYAML's SafeLoader (YAML 1.1) resolves. */
#ifndef ASSAY_BASE_YAML_H
#define ASSAY_BASE_YAML_H

#include "base/value.h"

/* One document. Every value carries its line; a local tag (`!function utils.f`) is kept in
 * value.tag with the scalar as a string. Anchors, aliases and merge keys (<<) are resolved, with
 * limits that defeat the "billion laughs". E_INPUT with "PATH:LINE: what is wrong". */
int yaml_parse(struct arena *a, struct str text, const char *path, struct value **ret,
               struct error *err);

#endif
