// Checks that a tag is ready for release: the changelog contains its version with a date, and package.json and
// package-lock.json contain the same version. The argument is the tag, such as v1.2.3. Prints each fault to standard
// error. The exit status is 1 if there is a fault.
import { readFileSync } from 'node:fs';

const faults = [...findFaults(process.argv[2] ?? '')];
for (const fault of faults) process.stderr.write(`${fault}\n`);
if (faults.length === 0) process.stdout.write('ready to be released\n');
process.exitCode = faults.length === 0 ? 0 : 1;

function* findFaults(tag) {
  const version = /^v(\d+\.\d+\.\d+)$/.exec(tag)?.[1];
  if (version === undefined) {
    yield `"${tag}" is not the tag of a release: vX.Y.Z was expected`;
    return;
  }
  const heading = read('CHANGELOG.md')
    .split('\n')
    .find((line) => line.startsWith(`## [${version}]`));
  if (heading === undefined) yield `CHANGELOG.md has no section "## [${version}] - <date>"`;
  else if (!/ - \d{4}-\d{2}-\d{2}$/.test(heading)) yield `CHANGELOG.md has no date for ${version}: "${heading}"`;
  for (const path of ['package.json', 'package-lock.json']) {
    const found = JSON.parse(read(path)).version;
    if (found !== version) yield `${path} has version ${found}, not ${version}`;
  }
}

function read(path) {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}
