"""Policies for the environments: scripted ones, and training in imagination."""
