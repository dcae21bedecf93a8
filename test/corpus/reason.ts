/** The kinds of reasons for a missing module, with the matching texts of the go command and of modpress. */
const KINDS: readonly (readonly [kind: string, direct: RegExp, modpress: RegExp])[] = [
  ['there is no go.mod', /missing \S+go\.mod/, /there is (?:no|neither) (?:\S+\/)?go\.mod/],
  ['go.mod names no module path', /go\.mod is missing module path/, /go\.mod declares no module path/],
  [
    'the major version requires another path',
    /module path must match major version/,
    /versions from v2 on need a path like/,
  ],
  [
    'a file has a name that is not allowed',
    /malformed file path/,
    /the go command accepts no module with these files: .*: invalid character/,
  ],
  [
    'file names differ only in case',
    /case-insensitive file name collision/,
    /the go command accepts no module with these files: .*: case-insensitive file name collision/,
  ],
  // The go command itself detects this in the go.mod, in direct mode and through modpress.
  ['a newer Go is needed', /requires go >= /, /requires go >= /],
];

/** Returns the kind of a failure in direct mode, or the reason itself if the kind is unknown. */
export function kindOfDirect(reason: string): string {
  return KINDS.find(([, direct]) => direct.test(reason))?.[0] ?? reason;
}

/**
 * Returns the kind of a failure through modpress, or the reason itself if the kind is unknown. The reason contains the
 * text of modpress.
 */
export function kindOfModpress(reason: string): string {
  return KINDS.find(([, , modpress]) => modpress.test(reason))?.[0] ?? reason;
}
