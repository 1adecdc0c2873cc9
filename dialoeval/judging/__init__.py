"""Human evaluation: studies made of runs, the page for judges, and what follows from their judgments."""
