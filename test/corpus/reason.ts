/** The kinds of reason for which there is no module, with the words of the go command and then those of modpress. */
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
  // The go command finds that by itself, in the go.mod that either side gives it.
  ['a newer Go is needed', /requires go >= /, /requires go >= /],
];

/** What kind of reason the go command gives for a failure in direct mode; the reason itself if it is of none. */
export function kindOfDirect(reason: string): string {
  return KINDS.find(([, direct]) => direct.test(reason))?.[0] ?? reason;
}

/** The same for a failure through modpress, whose words are in it. */
export function kindOfModpress(reason: string): string {
  return KINDS.find(([, , modpress]) => modpress.test(reason))?.[0] ?? reason;
}
