// Preloaded by tests: SIGUSR2 makes the program throw where nobody catches it.
process.on('SIGUSR2', () => {
  throw new Error('a defect, for a test');
});
