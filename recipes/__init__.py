"""Recipes: the only package that imports TRL, and the command line. Importing it loads nothing heavy."""
