"""A filled system to look at: invented people, and a past in which every number adds up."""
