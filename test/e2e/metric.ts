/** The sum of all samples of a metric whose labels contain the given text, such as `route="private/zip"`. */
export async function metric(serviceUrl: string, name: string, ...labels: readonly string[]): Promise<number> {
  const response = await fetch(`${serviceUrl}/-/metrics`);
  const samples = (await response.text()).split('\n').filter((line) => /^[a-z_]+/.exec(line)?.[0] === name);
  return samples
    .filter((line) => labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
