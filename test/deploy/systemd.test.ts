import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { settings } from '../../src/config/settings.ts';

const unit = new URL('../../deploy/modpress.service', import.meta.url);
const lines = readFileSync(unit, 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

describe('modpress.service', () => {
  it('has nothing but sections and assignments', () => {
    expect(lines.filter((line) => !/^\[(?:Unit|Service|Install)\]$|^[A-Z][A-Za-z]+=/.test(line))).toEqual([]);
  });

  it('is accepted by systemd-analyze, if it is installed', () => {
    const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', fileURLToPath(unit)], {
      encoding: 'utf8',
    });
    // Without it, the other tests have to suffice. The program need not exist at the path in the unit.
    if (error && 'code' in error && error.code === 'ENOENT') return;
    const errors = stderr
      .split('\n')
      .filter((line) => line.includes('modpress.service') && !line.includes('/usr/bin/node is not executable'));
    expect(errors).toEqual([]);
    expect(status === 0 || stderr.includes('/usr/bin/node is not executable')).toBe(true);
  });

  it('uses settings that exist, and passes secrets as credentials', () => {
    const variables = lines.flatMap((line) => /^Environment=([A-Z_]+)=(.*)$/.exec(line)?.slice(1, 2) ?? []);
    expect(variables).toContain('GITLAB_TOKEN_FILE');
    const known = new Set([...Object.keys(settings), 'NODE_ENV', 'TMPDIR']);
    for (const variable of variables) expect(known).toContain(variable.replace(/_FILE$/, ''));
    for (const line of lines) {
      const credential = /_FILE=%d\/(.*)$/.exec(line)?.[1];
      if (credential !== undefined) expect(lines).toContain(`LoadCredential=${credential}:/etc/modpress/${credential}`);
    }
  });

  it('does not restart after wrong settings, and allows time to finish jobs when it stops', () => {
    expect(lines).toEqual(
      expect.arrayContaining([
        'Restart=on-failure',
        'RestartPreventExitStatus=2',
        'KillSignal=SIGTERM',
        'TimeoutStopSec=90s',
      ]),
    );
  });

  it('confines the service', () => {
    const wanted = [
      'DynamicUser=yes',
      'ProtectSystem=strict',
      'ProtectHome=yes',
      'PrivateTmp=yes',
      'NoNewPrivileges=yes',
      'CapabilityBoundingSet=',
    ];
    expect(lines).toEqual(expect.arrayContaining(wanted));
    // V8 needs memory that is both writable and executable.
    expect(lines).not.toContain('MemoryDenyWriteExecute=yes');
  });
});
