// The workflow of the sample: its input and result are sealed on their way through Temporal.

export function Workflow(name: string): Promise<string> {
  return Promise.resolve(`Hello, ${name}`);
}
