import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const condition = z.object({ condition: z.literal('service_healthy') });

const service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string().optional() }).optional(),
  profiles: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  secrets: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.union([z.string(), z.object({ type: z.string(), target: z.string() })])).default([]),
  depends_on: z.record(z.string(), condition).default({}),
  restart: z.string(),
  read_only: z.boolean().optional(),
  healthcheck: z.object({ test: z.array(z.string()) }).loose(),
});

const compose = z.object({
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.null()),
  secrets: z.record(z.string(), z.object({ file: z.string() })),
});

/** The parts of a service of compose.yaml that the tests read. */
export type Service = z.output<typeof service>;

/** compose.yaml with its variables replaced by `variables`. Throws if a required variable is missing. */
export function readCompose(variables: Readonly<Record<string, string>>): z.output<typeof compose> {
  const text = readFileSync(new URL('../../deploy/compose.yaml', import.meta.url), 'utf8');
  // Compose replaces variables in the values, after parsing.
  const filled: unknown = JSON.parse(JSON.stringify(parse(text, { merge: true })), (_, value: unknown) =>
    typeof value === 'string' ? fillIn(value, variables) : value,
  );
  return compose.parse(filled);
}

function fillIn(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{([A-Z_]+)(:[-?])([^}]*)\}/g, (_, name: string, operator: string, rest: string) => {
    const value = variables[name] ?? '';
    if (value === '' && operator === ':?') throw new Error(`${name} is required: ${rest}`);
    return value === '' ? rest : value;
  });
}

/** The variables of example.env. */
export function exampleVariables(): Record<string, string> {
  const text = readFileSync(new URL('../../deploy/example.env', import.meta.url), 'utf8');
  return Object.fromEntries(
    Array.from(text.matchAll(/^([A-Z_]+)=(.*)$/gm), ([, name = '', value = '']) => [name, value]),
  );
}

/** The services that run modpress, with their roles. */
export function modpressServices(
  services: Readonly<Record<string, Service>>,
): [name: string, service: Service, roles: string[]][] {
  return Object.entries(services)
    .filter(([, { image }]) => image.startsWith('modpress:'))
    .map(([name, found]) => {
      const roles = found.command?.at(-1)?.split(',') ?? ['webhook', 'worker', 'proxy'];
      return [name, found, roles];
    });
}
