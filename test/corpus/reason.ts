/** The kinds of reasons for a missing module, with the texts of the go command and of modpress. */
const KINDS: readonly (readonly [kind: string, direct: RegExp, modpress: RegExp])[] = [
  ['there is no go.mod', /missing \S+go\.mod/, /there is (?:no|neither) (?:\S+\/)?go\.mod/],
  ['go.mod names no module path', /go\.mod is missing module path/, /go\.mod declares no module path/],
  [
    'the major version asks for another path',
    /module path must match major version/,
    /versions from v2 on need a path like/,
  ],
  [
    'a file has a name that is not allowed',
    /malformed file path/,
    /the go command accepts no module with these files: .*: invalid character/,
  ],
  [
    'names differ in case alone',
    /case-insensitive file name collision/,
    /the go command accepts no module with these files: .*: case-insensitive file name collision/,
  ],
  // The go command detects this itself, in the go.mod of either side.
  ['a newer Go is needed', /requires go >= /, /requires go >= /],
];

/** The kind of a failure of the go command in direct mode, or the reason itself if it is of no known kind. */
export function kindOfDirect(reason: string): string {
  return KINDS.find(([, direct]) => direct.test(reason))?.[0] ?? reason;
}

/** The same for a failure through modpress, whose text the reason contains. */
export function kindOfModpress(reason: string): string {
  return KINDS.find(([, , modpress]) => modpress.test(reason))?.[0] ?? reason;
}
