import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, ROLES } from '../../src/config/service-config.ts';
import { settings } from '../../src/config/settings.ts';
import { exampleVariables, modpressServices, readCompose } from './compose.ts';

const { services, volumes, secrets } = readCompose(exampleVariables());

describe('compose.yaml', () => {
  it.each(['GITLAB_URL', 'PUBLIC_URL', 'ACCESS'])('requires %s', (name) => {
    expect(() => readCompose({ ...exampleVariables(), [name]: '' })).toThrow(name);
  });

  it('runs all roles in each profile, in one process or in separate processes', () => {
    for (const profile of ['single', 'scaled']) {
      const members = modpressServices(services).filter(([, { profiles }]) => profiles?.includes(profile));
      expect(members.flatMap(([, , roles]) => roles).toSorted(), profile).toEqual([...ROLES].toSorted());
    }
  });

  it('gives every modpress valid settings, and secrets as files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'modpress-compose-'));
    try {
      for (const name of Object.keys(secrets)) await writeFile(join(folder, name), `secret-of-${name}\n`);
      for (const [, { environment, ...service }, roles] of modpressServices(services)) {
        for (const [name, value] of Object.entries(environment)) {
          const setting = name.replace(/_FILE$/, '');
          expect(Object.keys(settings)).toContain(setting);
          if (setting !== name) expect(service.secrets).toContain(value.replace('/run/secrets/', ''));
        }
        const local = Object.entries(environment).map(([name, value]) => [name, value.replace('/run/secrets', folder)]);
        const config = loadConfig(
          Object.fromEntries(local),
          ROLES.filter((role) => roles.includes(role)),
        );
        expect(config.gitlabToken).toBe('secret-of-gitlab_token');
        expect(config.store).toMatchObject({
          kind: 's3',
          endpoint: 'http://minio:9000',
          secretKey: 'secret-of-minio_password',
        });
        expect(config.redisLocation).toMatchObject({ kind: 'server', server: { host: 'redis', port: 6379 } });
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('restarts and health-checks every service', () => {
    for (const [name, service] of Object.entries(services)) {
      expect(service.restart, name).toBe('unless-stopped');
      expect(service.healthcheck.test[0], name).toBe('CMD');
      expect(service.image, name).toMatch(/:[0-9]/);
    }
  });

  it('refers to services, volumes, secrets and files that exist', () => {
    for (const [name, service] of Object.entries(services)) {
      for (const needed of Object.keys(service.depends_on)) expect(Object.keys(services), name).toContain(needed);
      for (const secret of service.secrets) expect(Object.keys(secrets), name).toContain(secret);
      for (const volume of service.volumes)
        if (typeof volume === 'string') expect(Object.keys(volumes), name).toContain(volume.split(':')[0]);
      if (!service.build) continue;
      const context = new URL(`../../deploy/${service.build.context}/`, import.meta.url);
      expect(existsSync(new URL(service.build.dockerfile ?? 'Dockerfile', context)), name).toBe(true);
    }
  });

  it('is reachable from its own machine only: a TLS proxy has to be in front of it', () => {
    const ports = Object.values(services).flatMap((service) => service.ports);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });
});
