import { run } from './run.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever read (`posthorn get … | head`) has seen enough.
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const { argv, env, stdin, stdout, stderr } = process;
process.exitCode = await run(argv.slice(2), { env, stdin, stdout, stderr });
