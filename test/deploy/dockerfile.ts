import { DockerfileParser, ModifiableInstruction, type Instruction as ParsedInstruction } from 'dockerfile-ast';
import { readFileSync } from 'node:fs';

/** One instruction on one line, with its `--flag=value` options separate. */
export interface Instruction {
  readonly keyword: string;
  readonly flags: ReadonlyMap<string, string>;
  readonly text: string;
}

/** A build stage, which begins with FROM. */
export interface Stage {
  /** The name after AS, if it has one. */
  readonly name: string | undefined;
  readonly image: string;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile, in order. */
export function readStages(file: URL): Stage[] {
  const stages: { name: string | undefined; image: string; instructions: Instruction[] }[] = [];
  for (const parsed of DockerfileParser.parse(readFileSync(file, 'utf8')).getInstructions()) {
    const instruction = instructionOf(parsed);
    if (instruction.keyword === 'FROM') {
      const [image = '', , name] = instruction.text.split(/\s+/);
      stages.push({ name, image, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

/** The words of an instruction in exec form, such as `CMD ["serve"]`. Throws for the shell form. */
export function execForm(stage: Stage, keyword: string): string[] {
  const found = stage.instructions.find((instruction) => instruction.keyword === keyword);
  if (!found) throw new Error(`there is no ${keyword}`);
  return JSON.parse(found.text.replace(/^CMD\s+/, '')) as string[];
}

function instructionOf(parsed: ParsedInstruction): Instruction {
  const flags = parsed instanceof ModifiableInstruction ? parsed.getFlags() : [];
  return {
    keyword: parsed.getKeyword(),
    flags: new Map(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
    text: parsed.getArgumentsContent() ?? '',
  };
}
