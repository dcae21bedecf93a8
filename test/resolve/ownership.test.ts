import { describe, expect, test } from 'vitest';
import { Ownership } from '../../src/resolve/ownership.ts';

describe('the ownership of a module path', () => {
  const ownership = new Ownership('gitlab.example', [
    { modulePrefix: 'go.corp.example', projectPrefix: 'platform/go' },
    { modulePrefix: 'go.corp.example/tool', projectPrefix: 'build/tool' },
  ]);

  test.each([
    ['group/lib', 'gitlab.example/group/lib'],
    ['platform/go/log', 'go.corp.example/log'],
    ['platform/go/deep/er', 'go.corp.example/deep/er'],
    ['platform/gopher', 'gitlab.example/platform/gopher'],
    ['build/tool', 'go.corp.example/tool'],
  ])('project %s has the path %s, and the path belongs to the project', (project, path) => {
    expect(ownership.rootsOf(project)).toEqual([path]);
    expect(ownership.projectPathOf(path)).toBe(project);
  });

  test('rejects a project whose module path MODULE_MAP assigns to another project', () => {
    expect(() => ownership.rootsOf('platform/go/tool')).toThrow(
      'go.corp.example/tool of project platform/go/tool to build/tool',
    );
  });

  test('returns two paths for a project that MODULE_MAP contains twice', () => {
    const versioned = new Ownership('gitlab.example', [
      { modulePrefix: 'gopkg.in/yaml.v2', projectPrefix: 'mirrors/yaml' },
      { modulePrefix: 'gopkg.in/yaml.v3', projectPrefix: 'mirrors/yaml' },
    ]);
    expect(versioned.rootsOf('mirrors/yaml')).toEqual(['gopkg.in/yaml.v2', 'gopkg.in/yaml.v3']);
    expect(versioned.projectPathOf('gopkg.in/yaml.v3')).toBe('mirrors/yaml');
  });

  test('treats a prefix and all paths below it as private, and no path that only begins with the same characters', () => {
    expect(
      ['gitlab.example', 'gitlab.example/x', 'go.corp.example', 'go.corp.example/x/y'].every((path) =>
        ownership.isPrivate(path),
      ),
    ).toBe(true);
    expect(
      ['gitlab.example.org/x', 'example', 'go.corp.examples/x', 'x/gitlab.example'].some((path) =>
        ownership.isPrivate(path),
      ),
    ).toBe(false);
  });

  test('treats the parents of a prefix as private, because the go command requests them too', () => {
    const relative = new Ownership('corp.example/gitlab');
    expect(
      ['corp.example', 'corp.example/gitlab', 'corp.example/gitlab/x'].every((path) => relative.isPrivate(path)),
    ).toBe(true);
    expect(['corp.example/other', 'example'].some((path) => relative.isPrivate(path))).toBe(false);
  });

  test('a scope includes its groups and projects, in upper or lower case, and no others', () => {
    const scoped = new Ownership('gitlab.example', [], ['Group', 'other/lib']);
    expect(['group/lib', 'GROUP/sub/lib', 'other/lib'].every((path) => scoped.isInScope(path))).toBe(true);
    expect(['groups/lib', 'other/library', 'other'].some((path) => scoped.isInScope(path))).toBe(false);
    expect(ownership.isInScope('anything/at/all')).toBe(true);
  });

  describe('with a scope', () => {
    const scoped = new Ownership(
      'gitlab.com',
      [{ modulePrefix: 'go.corp.example', projectPrefix: 'acme/go' }],
      ['acme', 'Partner/Lib'],
    );

    test.each([
      'gitlab.com',
      'gitlab.com/acme',
      'gitlab.com/acme/lib/v2',
      'gitlab.com/ACME/lib',
      'GitLab.com/acme/lib',
      'gitlab.com/acme.git/lib',
      'gitlab.com/partner',
      'gitlab.com/partner/lib',
      'gitlab.com/partner/lib.git/sub',
      'go.corp.example',
      'go.corp.example/x',
    ])('treats %s as private', (path) => {
      expect(scoped.isPrivate(path)).toBe(true);
    });

    test.each([
      'gitlab.com/gitlab-org/api/client-go',
      'gitlab.com/gitlab-org',
      'gitlab.com/acme-public/lib',
      'gitlab.com/partner/library',
      'gitlab.com/partner/other',
      'example.com/acme/lib',
    ])('does not treat %s as private', (path) => {
      expect(scoped.isPrivate(path)).toBe(false);
    });

    test('has patterns that match the groups and projects of the scope themselves', () => {
      expect(scoped.patterns).toEqual(['go.corp.example', 'gitlab.com/acme', 'gitlab.com/Partner/Lib']);
      expect(new Ownership('gitlab.example').patterns).toEqual(['gitlab.example/*']);
    });

    test('reports a prefix of MODULE_MAP that contains MODULE_PREFIX, and so makes everything private', () => {
      expect(scoped.prefixAboveScope).toBeUndefined();
      const whole = [{ modulePrefix: 'gitlab.com', projectPrefix: 'acme' }];
      expect(new Ownership('gitlab.com', whole, ['acme']).prefixAboveScope).toBe('gitlab.com');
      expect(new Ownership('gitlab.com', whole).prefixAboveScope).toBeUndefined();
    });
  });
});
