"""Circuit breakers, retry budgets and bulkheads: what fails does not take others with it."""
